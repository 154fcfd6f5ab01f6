"""The whole way, stage by stage, in one output folder."""

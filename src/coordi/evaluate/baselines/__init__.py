"""What any model must beat: scorers of outfits that are cheap, each of which tells what it alone can see."""

from coordi.evaluate.baselines.roster import BaselineInputs, Roster, baselines

__all__ = ["BaselineInputs", "Roster", "baselines"]

"""What every engine must do, whatever library it stands on."""

"""What examination promises: nothing harmful passes, nothing ordinary is refused, everything is explained."""

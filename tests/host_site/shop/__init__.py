"""An app of the host site, whose objects have rooms."""

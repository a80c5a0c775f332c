"""Who hears what: groups on the channel layer, presence, inboxes, access re-checks."""

"""What a user does, written once for all edges: sockets, HTTP and the form without JavaScript."""

"""What a person does, once for all edges: sockets, HTTP and the form without JavaScript."""

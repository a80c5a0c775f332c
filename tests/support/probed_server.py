"""`python -m tests.support.probed_server [daphne's options]`: the site's own server, with the endpoints of probe.py."""

import sys

from nousproject import server

if __name__ == "__main__":
    server.APPLICATION = "tests.support.probe:application"
    server.serve(sys.argv[1:])

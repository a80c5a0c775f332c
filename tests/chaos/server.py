"""`python -m tests.chaos.server [daphne's options]`: the site's own server, with the endpoints of probe.py added."""

import sys

import django

from nousproject import server

if __name__ == "__main__":
    django.setup()
    server.APPLICATION = "tests.chaos.probe:application"
    server.serve(sys.argv[1:])

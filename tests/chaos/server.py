"""`python -m tests.chaos.server [daphne's options]`: the site's own server, with probe.py before the site."""

import sys

import django

from nousproject import server

if __name__ == "__main__":
    django.setup()
    server.APPLICATION = "tests.chaos.probe:application"
    server.serve(sys.argv[1:])

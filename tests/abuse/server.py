"""`python -m tests.abuse.server [daphne's options]`: the site's own server, with the endpoint of probe.py added."""

import sys

import django

from nousproject import server

if __name__ == "__main__":
    django.setup()
    server.APPLICATION = "tests.abuse.probe:application"
    server.serve(sys.argv[1:])

"""`python -m tests.support.wsgi_server --port 8000`: nousproject under WSGI, as a site that has not moved its pages to
ASGI serves them.
"""

import argparse
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server

from django.core.wsgi import get_wsgi_application


class Threaded(ThreadingMixIn, WSGIServer):
    """One thread for each request."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    make_server("127.0.0.1", parser.parse_known_args()[0].port, get_wsgi_application(), Threaded).serve_forever()

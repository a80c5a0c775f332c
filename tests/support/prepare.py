"""`python -m tests.support.prepare`: migrate DATABASE_URL and put the people of the tests into it."""

import django

from .servers import PASSWORD, PEOPLE


def main() -> None:
    django.setup()
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.db import connections

    call_command("migrate", verbosity=0)
    users = get_user_model().objects
    for name in PEOPLE:
        users.create_user(name, password=PASSWORD)
    users.create_superuser("root", password=PASSWORD)
    connections.close_all()  # now the file holds everything: copies do not take SQLite's write-ahead log along


if __name__ == "__main__":
    main()

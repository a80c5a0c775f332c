"""Load and abuse: each attack at full size, with an innocent bystander. `make abuse`, docs/abuse.md.

attacks/       what attackers do              attackers.py  their clients, and the documented answers
attacker.py    one attack in its own process  bystander.py  what another user notices, in its own process
testbed.py     the servers                    people.py, settings.py  the site
runner.py      attacks, one after another     judge.py      the verdict
"""

# A PostgreSQL and a Redis of CI's own, on ports and in a folder (WORK) of their own.
PG := $(lastword $(sort $(wildcard /usr/lib/postgresql/*/bin)))
AS := $(if $(filter 0,$(shell id -u)),runuser -u postgres --)

.PHONY: start stop
start:
	chmod 755 $(WORK)
	mkdir -p $(WORK)/pg && $(if $(AS),chown postgres $(WORK)/pg)
	$(AS) $(PG)/initdb --pgdata=$(WORK)/pg --username=nous --auth=trust --encoding=UTF8 >/dev/null
	$(AS) $(PG)/pg_ctl --pgdata=$(WORK)/pg --wait --log=$(WORK)/pg/log \
	  --options="-p 55432 -c listen_addresses=127.0.0.1 -c unix_socket_directories=$(WORK)/pg -c fsync=off -c max_connections=200" \
	  start >/dev/null
	$$(command -v valkey-server || command -v redis-server) --port 56379 --bind 127.0.0.1 --save "" \
	  --appendonly no --daemonize yes --pidfile $(WORK)/redis.pid --dir $(WORK) >/dev/null

stop:
	-$(AS) $(PG)/pg_ctl --pgdata=$(WORK)/pg --mode=immediate stop >/dev/null
	-kill $$(cat $(WORK)/redis.pid)

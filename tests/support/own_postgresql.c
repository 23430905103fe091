/* SPDX-License-Identifier: MIT */
/* See own_postgresql.h. */
#include "own_postgresql.h"

#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "sl_test.h"

/* initdb and postgres refuse to run as root: then they run as the user "postgres". */
#define AS_POSTGRES "setpriv --reuid postgres --regid postgres --clear-groups"

static int ready(const struct own_server *server)
{
    char target[128];
    (void)snprintf(target, sizeof(target), "host=127.0.0.1 port=%d user=postgres dbname=postgres connect_timeout=2",
                   server->port);
    PGconn *connection = PQconnectdb(target);
    int code = PQstatus(connection) == CONNECTION_OK ? 0 : -1;
    PQfinish(connection);
    return code;
}

static void give_away(const char *path)
{
    const struct passwd *user = getuid() == 0 ? getpwnam("postgres") : NULL;
    if (user != NULL && chown(path, user->pw_uid, user->pw_gid) != 0) {
        (void)fprintf(stderr, "%s could not be given to the user postgres\n", path);
    }
}

static void set_arguments(struct own_postgresql *postgresql)
{
    size_t count = 0;
    if (getuid() == 0) {
        const char *const words[] = {"setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"};
        memcpy(postgresql->arguments, words, sizeof(words));
        count = 6;
    }
    const char *const words[] = {
        postgresql->program, "-D", postgresql->data, "-p", postgresql->port, "-h", "127.0.0.1", "-k", "", NULL};
    memcpy(postgresql->arguments + count, words, sizeof(words));
    postgresql->server.arguments = postgresql->arguments;
    postgresql->server.ready = ready;
}

int own_postgresql_start(struct own_postgresql *postgresql)
{
    char command[1024];
    glob_t found;
    memset(postgresql, 0, sizeof(*postgresql));
    if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) != 0 || found.gl_pathc == 0) {
        sl_test_skip("no PostgreSQL here");
    }
    (void)snprintf(postgresql->binary, sizeof(postgresql->binary), "%s", found.gl_pathv[0]);
    *strrchr(postgresql->binary, '/') = '\0';
    globfree(&found);
    own_server_prepare(&postgresql->server);
    int port = postgresql->server.port;
    (void)snprintf(postgresql->data, sizeof(postgresql->data), "%s/data", postgresql->server.folder.path);
    (void)snprintf(postgresql->port, sizeof(postgresql->port), "%d", port);
    (void)snprintf(postgresql->program, sizeof(postgresql->program), "%s/postgres", postgresql->binary);
    (void)snprintf(postgresql->target, sizeof(postgresql->target),
                   "host=127.0.0.1 port=%d user=postgres dbname=postgres", port);
    give_away(postgresql->server.folder.path);
    (void)snprintf(command, sizeof(command),
                   "%s %s/initdb -D %s -U postgres -A trust -N --no-locale -E UTF8 >/dev/null 2>&1",
                   getuid() == 0 ? AS_POSTGRES : "", postgresql->binary, postgresql->data);
    if (system(command) != 0) {
        return -1;
    }
    set_arguments(postgresql);
    return own_server_start(&postgresql->server);
}

int own_postgresql_put(const struct own_postgresql *postgresql, const char *name, const char *text)
{
    char path[SCRATCH_PATH_MAX + 64];
    (void)snprintf(path, sizeof(path), "%s/%s", postgresql->data, name);
    FILE *file = fopen(path, "w");
    bool written = file != NULL && fputs(text, file) >= 0;
    written = file != NULL && fclose(file) == 0 && written;
    give_away(path);
    return written && chmod(path, 0600) == 0 ? 0 : -1;
}

const char *own_postgresql_ask(struct own_postgresql *postgresql, const char *sql)
{
    PGconn *connection = PQconnectdb(postgresql->target);
    PGresult *result = PQexec(connection, sql);
    (void)snprintf(postgresql->answer, sizeof(postgresql->answer), "%s",
                   PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) > 0 ? PQgetvalue(result, 0, 0)
                                                                                      : PQerrorMessage(connection));
    PQclear(result);
    PQfinish(connection);
    return postgresql->answer;
}

void own_postgresql_signal(const struct own_postgresql *postgresql, int signal)
{
    char command[96];
    (void)snprintf(command, sizeof(command), "kill -%d %d $(pgrep -P %d)", signal, (int)postgresql->server.pid,
                   (int)postgresql->server.pid);
    if (system(command) != 0) {
        (void)fprintf(stderr, "the signal reached not all of PostgreSQL\n");
    }
}

void own_postgresql_end(struct own_postgresql *postgresql)
{
    own_server_stop(&postgresql->server, SIGINT);
    own_server_end(&postgresql->server);
}

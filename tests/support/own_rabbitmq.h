/* SPDX-License-Identifier: MIT */
/* A RabbitMQ server of the test's own, with its port mapper: started once (it takes seconds), killed and started again. */
#ifndef OWN_RABBITMQ_H
#define OWN_RABBITMQ_H

#include "own_server.h"

struct own_rabbitmq {
    struct own_server server;
    struct own_server mapper; /* epmd: RabbitMQ would start one that stays */
    char url[64];
    char texts[16][SCRATCH_PATH_MAX + 64];
    const char *environment[17];
    const char *arguments[2];
    const char *mapper_arguments[8];
};

/* Starts both; skips the case where RabbitMQ is not installed. 0 or -1. Blocks. */
int own_rabbitmq_start(struct own_rabbitmq *rabbitmq);

/* The same with more lines for rabbitmq.conf. */
int own_rabbitmq_start_with(struct own_rabbitmq *rabbitmq, const char *settings);

/* The server dies at once (its data stays), and is started again. */
void own_rabbitmq_kill(struct own_rabbitmq *rabbitmq);
int own_rabbitmq_restart(struct own_rabbitmq *rabbitmq);

void own_rabbitmq_end(struct own_rabbitmq *rabbitmq);

/* Runs rabbitmqctl with these words: its exit status. Blocks. */
int own_rabbitmq_control(const struct own_rabbitmq *rabbitmq, const char *words);

#endif

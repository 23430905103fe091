/* SPDX-License-Identifier: MIT */
/* Looks into the market.db that a program writes in its folder meanwhile. */
#ifndef MARKET_DB_H
#define MARKET_DB_H

/* The number that a query gives first; -1 while there is none, or no such table. */
long long market_db_number(const char *folder, const char *sql);

/* Until the query gives at least so much; a case that waits for ever is ended from outside. */
void market_db_wait(const char *folder, const char *sql, long long least);

#endif

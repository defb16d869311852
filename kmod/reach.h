/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef P2PRDMA_REACH_H
#define P2PRDMA_REACH_H

#include <linux/p2prdma.h>

struct device;
struct p2p_card;

int p2p_reach_query(struct p2p_card *card, struct p2prdma_query_reach *query);
int p2p_reach_check(struct p2p_card *card, struct device *dev);

#endif

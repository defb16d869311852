// SPDX-License-Identifier: GPL-2.0-only
/*
 * p2prdma.ko: peer-to-peer I/O between PCIe add-in cards and RDMA adapters.
 */
#include <linux/module.h>

#include "card.h"
#include "compat.h"
#include "local_card.h"

static int __init p2p_init(void)
{
	int ret;

	ret = p2p_card_class_init();
	if (ret)
		return ret;
	ret = p2p_refcard_init();
	if (ret)
		goto err_class;
	ret = p2p_ivshmem_init();
	if (ret)
		goto err_refcard;
	ret = p2p_pci_init();
	if (ret)
		goto err_ivshmem;
	ret = p2p_local_init();
	if (ret)
		goto err_pci;
	return 0;

err_pci:
	p2p_pci_exit();
err_ivshmem:
	p2p_ivshmem_exit();
err_refcard:
	p2p_refcard_exit();
err_class:
	p2p_card_class_exit();
	return ret;
}

static void __exit p2p_exit(void)
{
	p2p_local_exit();
	p2p_pci_exit();
	p2p_ivshmem_exit();
	p2p_refcard_exit();
	p2p_card_class_exit();
}

module_init(p2p_init);
module_exit(p2p_exit);

MODULE_DESCRIPTION("Peer-to-peer I/O between PCIe add-in cards and RDMA adapters");
MODULE_AUTHOR("The p2prdma authors");
MODULE_LICENSE("GPL");
P2P_IMPORT_DMA_BUF();

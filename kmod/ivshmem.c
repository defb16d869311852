// SPDX-License-Identifier: GPL-2.0-only
/*
 * Card driver "ivshmem": QEMU's inter-VM shared memory, whose BAR 2 is memory
 * that the host of the virtual machine lends.
 */
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/security.h>

#include "card.h"

#define IVSHMEM_MEM_BAR 2

static int ivshmem_start(struct p2p_card *card)
{
	return p2p_card_set_memory(card, IVSHMEM_MEM_BAR,
				   pci_resource_len(card->pdev,
						    IVSHMEM_MEM_BAR));
}

static const struct p2p_card_ops ivshmem_ops = {
	.name = "ivshmem",
	.start = ivshmem_start,
};

static const struct pci_device_id ivshmem_table[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT_QUMRANET, 0x1110) },
	{}
};
MODULE_DEVICE_TABLE(pci, ivshmem_table);

static int ivshmem_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	/* Taken by new_id or driver_override, it may be a BAR of registers. */
	if (!pci_match_id(ivshmem_table, pdev)) {
		int ret = security_locked_down(LOCKDOWN_PCI_ACCESS);

		if (ret)
			return ret;
	}
	return p2p_bind(pdev, &ivshmem_ops);
}

static struct pci_driver ivshmem_driver = {
	.name = "p2prdma_ivshmem",
	.id_table = ivshmem_table,
	.probe = ivshmem_probe,
	.remove = p2p_unbind,
	.err_handler = &p2p_err_handlers,
};

/**
 * p2p_ivshmem_init() - register the driver
 *
 * Return: 0 or a negative errno.
 */
int p2p_ivshmem_init(void)
{
	return pci_register_driver(&ivshmem_driver);
}

/**
 * p2p_ivshmem_exit() - unregister the driver
 */
void p2p_ivshmem_exit(void)
{
	pci_unregister_driver(&ivshmem_driver);
}

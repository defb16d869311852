// SPDX-License-Identifier: GPL-2.0-only
/*
 * Card driver "pci": any PCI function with a memory BAR, when the administrator
 * says so: by driver_override, by new_id or by the module parameter "ids".
 */
#include <linux/moduleparam.h>
#include <linux/pci.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "card.h"

static char ids[1024];
module_param_string(ids, ids, sizeof(ids), 0444);
MODULE_PARM_DESC(ids,
		 "PCI functions for the generic driver: vendor:device[:subvendor[:subdevice[:class[:class_mask]]]],... in hexadecimal");

/* The largest memory BAR, or -1. */
static int largest_bar(struct pci_dev *pdev)
{
	u64 largest = P2P_GRANULE - 1;
	int bar, best = -1;

	for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
		unsigned long flags = pci_resource_flags(pdev, bar);

		if (!(flags & IORESOURCE_MEM) || flags & IORESOURCE_UNSET)
			continue;
		if (pci_resource_len(pdev, bar) > largest) {
			largest = pci_resource_len(pdev, bar);
			best = bar;
		}
	}
	return best;
}

static int pci_card_start(struct p2p_card *card)
{
	int bar = largest_bar(card->pdev);

	if (bar < 0) {
		pci_err(card->pdev, "no memory BAR of at least %lu bytes\n",
			P2P_GRANULE);
		return -ENODEV;
	}
	return p2p_card_set_memory(card, bar,
				   pci_resource_len(card->pdev, bar));
}

static const struct p2p_card_ops pci_card_ops = {
	.name = "pci",
	.start = pci_card_start,
};

static int pci_card_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	/* It may be a BAR of registers that gets handed out. */
	int ret = security_locked_down(LOCKDOWN_PCI_ACCESS);

	if (ret)
		return ret;
	return p2p_bind(pdev, &pci_card_ops);
}

static struct pci_driver pci_card_driver = {
	.name = "p2prdma_pci",
	.id_table = NULL,
	.probe = pci_card_probe,
	.remove = p2p_unbind,
	.err_handler = &p2p_err_handlers,
};

static int add_id(const char *text)
{
	unsigned int vendor, device, subvendor = PCI_ANY_ID;
	unsigned int subdevice = PCI_ANY_ID, class = 0, class_mask = 0;
	int fields, ret;

	fields = sscanf(text, "%x:%x:%x:%x:%x:%x", &vendor, &device, &subvendor,
			&subdevice, &class, &class_mask);
	if (fields < 2) {
		pr_err("p2prdma: parameter ids: \"%s\" is not vendor:device in hexadecimal\n",
		       text);
		return -EINVAL;
	}
	ret = pci_add_dynid(&pci_card_driver, vendor, device, subvendor,
			    subdevice, class, class_mask, 0);
	if (ret)
		pr_err("p2prdma: parameter ids: \"%s\": error %d\n", text, ret);
	return ret;
}

static int add_ids(void)
{
	/* The parameter stays whole: sysfs shows it. */
	char *copy = kstrdup(ids, GFP_KERNEL);
	char *rest = copy, *text;
	int ret = 0;

	if (!copy)
		return -ENOMEM;
	while (!ret && (text = strsep(&rest, ",")))
		if (*text)
			ret = add_id(text);
	kfree(copy);
	return ret;
}

/**
 * p2p_pci_init() - register the driver and the ids of the module parameter
 *
 * Return: 0 or a negative errno.
 */
int p2p_pci_init(void)
{
	int ret = pci_register_driver(&pci_card_driver);

	if (ret)
		return ret;
	ret = add_ids();
	if (ret)
		pci_unregister_driver(&pci_card_driver);
	return ret;
}

/**
 * p2p_pci_exit() - unregister the driver
 */
void p2p_pci_exit(void)
{
	pci_unregister_driver(&pci_card_driver);
}

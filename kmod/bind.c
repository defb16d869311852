// SPDX-License-Identifier: GPL-2.0-only
/*
 * What all card drivers do with their PCI function. Plain pci_*() calls and an
 * explicit way back: managed resources would be freed after remove(), in an
 * order that is hard to see.
 */
#include <linux/pci.h>

#include "card.h"
#include "dma.h"

static int bind_card(struct p2p_card *card)
{
	int ret;

	ret = card->ops->start(card);
	if (ret)
		return ret;
	ret = p2p_dma_init(card);
	if (ret)
		goto err_stop;
	ret = p2p_bells_request(card);
	if (ret)
		goto err_stop;
	p2p_bells_start(card);
	ret = p2p_card_register(card);
	if (ret)
		goto err_block;
	return 0;

err_block:
	/* A node left from an earlier card may have let somebody in. */
	p2p_card_block(card, P2P_CARD_GONE);
	p2p_bells_free(card);
err_stop:
	if (card->ops->stop)
		card->ops->stop(card);
	return ret;
}

/**
 * p2p_bind() - probe of a card driver
 * @pdev: the PCI function
 * @ops: the driver
 *
 * Return: 0, or a negative errno and nothing is left claimed.
 */
int p2p_bind(struct pci_dev *pdev, const struct p2p_card_ops *ops)
{
	int bars = pci_select_bars(pdev, IORESOURCE_MEM);
	struct p2p_card *card;
	int ret;

	ret = pci_enable_device_mem(pdev);
	if (ret)
		return ret;
	ret = pci_request_selected_regions(pdev, bars, KBUILD_MODNAME);
	if (ret)
		goto err_disable;
	card = p2p_card_alloc(pdev, ops);
	if (IS_ERR(card)) {
		ret = PTR_ERR(card);
		goto err_regions;
	}
	ret = bind_card(card);
	if (ret)
		goto err_put;
	pci_set_drvdata(pdev, card);
	dev_info(&card->dev, "%s is a %s card with %llu bytes of memory\n",
		 pci_name(pdev), ops->name, p2p_pool_size(&card->mem.pool));
	return 0;

err_put:
	put_device(&card->dev);
err_regions:
	pci_release_selected_regions(pdev, bars);
err_disable:
	pci_disable_device(pdev);
	return ret;
}

/**
 * p2p_unbind() - remove of a card driver
 * @pdev: the PCI function, after p2p_bind()
 *
 * Waits for importers as p2p_card_block() says.
 */
void p2p_unbind(struct pci_dev *pdev)
{
	struct p2p_card *card = pci_get_drvdata(pdev);

	p2p_card_block(card, P2P_CARD_GONE);
	p2p_card_unregister(card);
	p2p_bells_free(card);
	if (card->ops->stop)
		card->ops->stop(card);
	pci_set_drvdata(pdev, NULL);
	pci_release_selected_regions(pdev,
				     pci_select_bars(pdev, IORESOURCE_MEM));
	pci_disable_device(pdev);
	put_device(&card->dev);
}

/* The core cannot be told to wait or to refuse, so this waits itself. */
static void bind_reset_prepare(struct pci_dev *pdev)
{
	struct p2p_card *card = pci_get_drvdata(pdev);

	if (p2p_card_usable(card) != -ENODEV)
		p2p_card_block(card, P2P_CARD_RESETTING);
}

static void bind_reset_done(struct pci_dev *pdev)
{
	struct p2p_card *card = pci_get_drvdata(pdev);
	int ret = 0;

	if (p2p_card_usable(card) == -ENODEV)
		return;
	if (!pci_device_is_present(pdev))
		ret = -ENODEV;
	else if (card->ops->reset_done)
		ret = card->ops->reset_done(card);
	if (!ret) {
		p2p_card_unblock(card);
		return;
	}
	dev_err(&card->dev, "%s did not come back from its reset: error %d\n",
		pci_name(pdev), ret);
	p2p_card_block(card, P2P_CARD_GONE);
}

const struct pci_error_handlers p2p_err_handlers = {
	.reset_prepare = bind_reset_prepare,
	.reset_done = bind_reset_done,
};

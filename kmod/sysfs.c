// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attributes of /sys/class/p2prdma/cardN; Documentation/module.rst lists them.
 * The link "device" leads to the PCI function.
 */
#include <linux/device.h>
#include <linux/sysfs.h>

#include "card.h"

static struct p2p_card *to_card(struct device *dev)
{
	return container_of(dev, struct p2p_card, dev);
}

static ssize_t driver_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%s\n", to_card(dev)->ops->name);
}
static DEVICE_ATTR_RO(driver);

static ssize_t mem_size_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%llu\n", p2p_pool_size(&to_card(dev)->mem.pool));
}
static DEVICE_ATTR_RO(mem_size);

static ssize_t mem_free_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%llu\n",
			  p2p_pool_available(&to_card(dev)->mem.pool));
}
static DEVICE_ATTR_RO(mem_free);

static ssize_t mem_largest_free_show(struct device *dev,
				     struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", p2p_pool_largest(&to_card(dev)->mem.pool));
}
static DEVICE_ATTR_RO(mem_largest_free);

static ssize_t windows_in_use_show(struct device *dev,
				   struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", p2p_windows_in_use(to_card(dev)));
}
static DEVICE_ATTR_RO(windows_in_use);

static ssize_t doorbells_in_use_show(struct device *dev,
				     struct device_attribute *attr, char *buf)
{
	u64 bytes = p2p_pool_in_use(&to_card(dev)->doorbells.pool);

	return sysfs_emit(buf, "%llu\n", bytes / P2P_GRANULE);
}
static DEVICE_ATTR_RO(doorbells_in_use);

static ssize_t numa_node_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "%d\n", dev_to_node(&to_card(dev)->pdev->dev));
}
static DEVICE_ATTR_RO(numa_node);

static ssize_t abi_version_show(struct device *dev,
				struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", P2PRDMA_ABI_VERSION);
}
static DEVICE_ATTR_RO(abi_version);

static ssize_t capabilities_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "0x%llx\n", to_card(dev)->caps);
}
static DEVICE_ATTR_RO(capabilities);

static struct attribute *card_attrs[] = {
	&dev_attr_driver.attr,
	&dev_attr_mem_size.attr,
	&dev_attr_mem_free.attr,
	&dev_attr_mem_largest_free.attr,
	&dev_attr_windows_in_use.attr,
	&dev_attr_doorbells_in_use.attr,
	&dev_attr_numa_node.attr,
	&dev_attr_abi_version.attr,
	&dev_attr_capabilities.attr,
	NULL,
};

static const struct attribute_group card_group = {
	.attrs = card_attrs,
};

const struct attribute_group *p2p_card_groups[] = { &card_group, NULL };

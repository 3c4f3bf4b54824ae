"""The executor: operations as data, made in groups that no crash can tear, reconciled with the disk after one."""

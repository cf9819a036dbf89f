"""The verbs that users call on products: they load data and call science."""

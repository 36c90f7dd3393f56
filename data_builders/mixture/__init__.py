"""Sources become a corpus: whose turn it is, what is a duplicate, where a shard ends."""

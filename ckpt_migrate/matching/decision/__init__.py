"""The decision: how sure a pair is at the least, whether that is enough, and the words for both."""

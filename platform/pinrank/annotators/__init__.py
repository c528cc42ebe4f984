"""Several people's grades of one pair: how far they agree, and the one grade that they make together."""

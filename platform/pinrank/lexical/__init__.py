"""Words of queries and pins, and how well they match: one code for offline jobs and serving; numpy, numba, Snowball.

    words = lexical.WordSettings()
    pins = lexical.field_terms(rows_of_pin_text, words)
    stats = lexical.fit(pins, words)
    matches_NF = lexical.features([lexical.query_terms("red sofa")], pins, stats, np.zeros(len(pins), int))

words.py    a text to its words, in any script
stems.py    a word to its stem, by the pin's language
terms.py    words to term ids: of a query, and of many pins, field by field
stats.py    document frequencies and lengths of a collection, which can be added and taken away
asked.py    the terms of many queries together
match.py    the features of pairs
scan.py     the pass over the pins' terms that computes them
"""

from pinrank.lexical.match import K1 as K1
from pinrank.lexical.match import NAMES as NAMES
from pinrank.lexical.match import B as B
from pinrank.lexical.match import bm25_scores as bm25_scores
from pinrank.lexical.match import features as features
from pinrank.lexical.match import warm_up as warm_up
from pinrank.lexical.stats import SETTINGS_FILE as SETTINGS_FILE
from pinrank.lexical.stats import STATS_FILE as STATS_FILE
from pinrank.lexical.stats import LexicalStats as LexicalStats
from pinrank.lexical.stats import fit as fit
from pinrank.lexical.stats import merge as merge
from pinrank.lexical.stems import WordSettings as WordSettings
from pinrank.lexical.terms import COLUMNS as COLUMNS
from pinrank.lexical.terms import READ as READ
from pinrank.lexical.terms import FieldTerms as FieldTerms
from pinrank.lexical.terms import QueryTerms as QueryTerms
from pinrank.lexical.terms import Terms as Terms
from pinrank.lexical.terms import field_terms as field_terms
from pinrank.lexical.terms import query_terms as query_terms
from pinrank.lexical.terms import ranges as ranges
from pinrank.lexical.terms import starts_of as starts_of
from pinrank.lexical.terms import term_ids as term_ids
from pinrank.lexical.words import tokenize as tokenize

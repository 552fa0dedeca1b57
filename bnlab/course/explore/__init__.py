"""Explorations: small pictures with handles, the same in a notebook and on the site.

- `exploring` says what an exploration is and finds it, `showing` puts it into a notebook and on a
  page, `explore.css` is their look in light and dark.
- Each exploration is NAME.py (its words, its first state, its still picture) and NAME.js (one ES
  module without imports: its mathematics, and `render`).
"""

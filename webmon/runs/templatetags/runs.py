"""The markup of runs as template tags."""

from django import template

from webmon.runs.markup import attempt_bars, row_list, tile_list

register = template.Library()
register.simple_tag(attempt_bars)
register.simple_tag(row_list)
register.simple_tag(tile_list)

"""The markup of runs as template tags."""

from django import template

from webmon.runs.markup import row_list, tile_list

register = template.Library()
register.simple_tag(row_list)
register.simple_tag(tile_list)

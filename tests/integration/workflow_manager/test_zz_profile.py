import time
from collections import defaultdict
from django.core.management import call_command
from django.db import connection
T=defaultdict(float)
def w(execute, sql, params, many, context):
    t=time.monotonic(); r=execute(sql, params, many, context); T[sql[:90]]+=time.monotonic()-t; return r
def test_profile(old):
    t=time.monotonic(); old.fill(5000); print("fill", time.monotonic()-t)
    t=time.monotonic()
    with connection.execute_wrapper(w):
        call_command("import_webmon", address=old.address, batch=2500)
    print("total", time.monotonic()-t)
    for k,v in sorted(T.items(), key=lambda x:-x[1])[:14]: print(f"{v:8.2f} {k!r}")

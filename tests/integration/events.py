# Licensed under the Apache License, Version 2.0; see LICENSE.
"""What mod_oomguard's JSON consists of, as the man page has it: each key, and what its value may
be. One more or less of them in an object fails."""

NULL = type(None)
NUMBER = (int, float)

EVENT = {"time": str, "event": str, "id": str, "late": bool, "again": bool}

KILL = {**EVENT, "role": str, "pid": int, "comm": str, "uid": int, "killer": str,
        "oom_memcg": (str, NULL), "task_memcg": (str, NULL), "total_vm_kib": int,
        "anon_rss_kib": int, "file_rss_kib": int, "shmem_rss_kib": int, "pgtables_kib": int,
        "oom_score_adj": int, "invoked_by": (str, NULL), "constraint": (str, NULL),
        "group_kill": bool}

# Of whoever was in requests, or worked for them.
REQUESTS = {"in_flight": int, "requests": list, "route": (dict, NULL),
            "most_suspect": (dict, NULL)}
WORKER = {"slot": (int, NULL), "generation": (int, NULL), **REQUESTS}

# Of one that is known by its end.
END = {**EVENT, "role": str, "pid": int, **WORKER}
GAP = {**EVENT, "records": (int, NULL), "kills": (int, NULL)}
UNATTRIBUTED = {**EVENT, "kills": int}

REQUEST = {"method": (str, NULL), "path": (str, NULL), "vhost": (str, NULL),
           "client": (str, NULL), "handler": (str, NULL), "log_id": (str, NULL),
           "seconds": NUMBER, "taken_bytes": (int, NULL)}

ROUTE = {"vhost": str, "handler": str, "pattern": str, "requests": int, "taken_bytes": int,
         "most_bytes": int, "kills": int, "suspicion": str, "why": str,
         "retained_each": (*NUMBER, NULL), "retained_error": (*NUMBER, NULL),
         "retained_of": (int, NULL), "retained_bytes": (int, NULL),
         "retained_share": (*NUMBER, NULL)}

STATUS = {"workers": list, "kills": list, "routes": list, "routes_evicted": int,
          "requests_missed": int}
STATUS_WORKER = {"slot": int, "pid": int, "generation": int, "seconds": NUMBER,
                 "anon_bytes": (int, NULL), "in_flight": int, "requests": list}
STATUS_KILL = {"id": str, "event": str, "pid": int, "role": str, "seconds_ago": NUMBER,
               "request": (dict, NULL)}
STATUS_ROUTE = {**ROUTE, "in_flight": int}


def has_shape(found, shape):
    """All of these keys, no other, and values of these types; likewise what is in it. Returns
    it."""
    assert found.keys() == shape.keys(), set(found) ^ set(shape)
    for key, value in found.items():
        assert isinstance(value, shape[key]), (key, value)
        assert isinstance(value, bool) == (shape[key] is bool), (key, value)
    if shape is STATUS:
        for key, of in (("workers", STATUS_WORKER), ("kills", STATUS_KILL),
                        ("routes", STATUS_ROUTE)):
            for part in found[key]:
                has_shape(part, of)
    elif "requests" in found and isinstance(found["requests"], list):
        for request in found["requests"]:
            has_shape(request, REQUEST)
    for key in ("route", "most_suspect"):
        if found.get(key) is not None:
            has_shape(found[key], ROUTE)
    if found.get("request") is not None:
        has_shape(found["request"], REQUEST)
    return found

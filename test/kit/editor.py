"""Workflows as InvokeAI's editor exports them, made from graphs."""


def invocation(node_id, node, **data):
    """A node of a workflow, from a node of a graph; ``data`` replaces parts of the node's data."""
    fields = {name: {"name": name, "label": "", "value": value} for name, value in node.items() if name != "type"}
    about = {"id": node_id, "type": node["type"], "version": "1.0.0", "label": "", "notes": "", "nodePack": "invokeai"}
    flags = {"isOpen": True, "isIntermediate": node["type"] != "l2i", "useCache": True}
    place = {"id": node_id, "type": "invocation", "position": {"x": 0, "y": 0}}
    return {**place, "data": {**about, **flags, "inputs": fields, **data}}


def line(source, destination, kind="default"):
    """An edge of a workflow, between two handles as "node.handle"."""
    (source, source_handle), (target, target_handle) = source.split("."), destination.split(".")
    ends = {"source": source, "sourceHandle": source_handle, "target": target, "targetHandle": target_handle}
    return {"id": f"{source}-{target}-{target_handle}", "type": kind, **ends}


def connector(node_id):
    return {"id": node_id, "type": "connector", "position": {"x": 0, "y": 0}, "data": {"id": node_id, "label": ""}}


def note(node_id):
    return {"id": node_id, "type": "notes", "position": {"x": 0, "y": 0}, "data": {"id": node_id, "notes": "read me"}}


def workflow_of(nodes, edges):
    """A whole exported file."""
    about = dict.fromkeys(("author", "description", "version", "contact", "tags", "notes"), "")
    form = {"elements": {}, "rootElementId": "root"}
    meta = {"category": "user", "version": "3.0.0"}
    return {"name": "mine", **about, "exposedFields": [], "form": form, "meta": meta, "nodes": nodes, "edges": edges}


def exported(graph):
    """The workflow of a graph, with a note and with a connector in its first edge."""
    nodes = [note("hint"), connector("joint"), *(invocation(node_id, node) for node_id, node in graph["nodes"].items())]
    lines = [
        line(*(f"{edge[end]['node_id']}.{edge[end]['field']}" for end in ("source", "destination")))
        for edge in graph["edges"]
    ]
    first = lines[0]
    broken = [
        line(f"{first['source']}.{first['sourceHandle']}", "joint.in"),
        line("joint.out", f"{first['target']}.{first['targetHandle']}"),
    ]
    return workflow_of(nodes, [*broken, *lines[1:]])

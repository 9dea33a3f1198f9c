"""The one test kit: AWS, doors, agents, model servers and keepers as real processes, and what can be done to them.

- ``processes``: ``ChildProcess`` (start, send, wait, kill, restart), ``free_port``, ``wait_for``, ``answers``
- ``aws``: ``FakeAws``, the process that is AWS, with clients for the test
- ``rig``: ``Kit``, all that one test run shares, and ``Rig``, one runtime with its queues, topics, bucket, jobs table,
  pods and notices
- ``pods``: ``Pod``, a model server with its agent, both behind proxies, and the ``Kubelet`` that keeps both alive
- ``servers``: how each type of model server is asked and made to fail
- ``door``: ``Door``, the front door before a rig
- ``proxy``, ``actions``: ``FaultProxy`` and what it can do to a call
- ``jobs``: ``JobsTable``, and what door and agents do to it
- ``tasks``: sample tasks of every type
- ``audit``: what must be true of every task in the end
- ``wire``: ``Wire``, what lies between boto3 clients in the test's own process and AWS
- ``web``: an HTTP server in the test's own process
- ``charts``: helm, kubectl, and trees of a chart's values
- ``concurrency``: runs tests beside each other, since most of them mostly wait

A rig in five lines::

    with Kit(folder) as kit, kit.rig("comfyui") as rig:
        pod = rig.add_pod(step_s=0.1).start()
        task_id = rig.submit(steps=4)
        assert rig.notice(task_id)["result"]
        assert check_endings(rig) == 0
"""

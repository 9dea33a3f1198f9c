"""The test kit: AWS, doors, agents, model servers and keepers as real processes, and ways to disturb them.

- ``processes``: ``ChildProcess`` (start, send, wait, kill, restart), ``free_port``, ``wait_for``, ``answers``
- ``aws``: ``FakeAws``, AWS as a process, with clients for the test
- ``rig``: ``Kit``, which a test run shares, and ``Rig``, a runtime with its queues, topics, bucket, jobs table, pods
  and notices
- ``pods``: ``Pod``, a model server with its agent, both behind proxies, and the ``Kubelet`` that restarts them
- ``servers``: how to query each type of model server and make it fail
- ``door``: ``Door``, the front door of a rig
- ``proxy``, ``actions``: ``FaultProxy`` and what it can do to a call
- ``jobs``: ``JobsTable``, and what doors and agents do to it
- ``tasks``: sample tasks of every type
- ``audit``: what must be true of every task in the end
- ``notices``: ``NoticeQueue``, which hears every notice of a platform
- ``wire``: ``Wire``, which sits between AWS and boto3 clients in the test's own process
- ``web``: an HTTP server in the test's own process
- ``charts``: helm, kubectl, and trees of chart values
- ``concurrency``: runs tests concurrently, because most of them mostly wait

A rig in five lines::

    with Kit(folder) as kit, kit.rig("comfyui") as rig:
        pod = rig.add_pod(step_s=0.1).start()
        task_id = rig.submit(steps=4)
        assert rig.notice(task_id)["result"]
        assert check_endings(rig) == 0
"""

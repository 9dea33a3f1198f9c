import json

from bench.editing.memory import Memory, read_memory


def test_all_workers_of_a_flux_server_count():
    memory = {"device_bytes": 100, "peak_bytes": 30, "host_peak_bytes": 7}
    health = {"live": True, "workers": [{"memory": memory}, {"memory": memory}, {"memory": None}]}
    assert read_memory(json.dumps(health)) == Memory(vram=60, ram=14)


def test_nvidias_exporter_tells_mebibytes_of_each_gpu():
    text = 'DCGM_FI_DEV_FB_USED{gpu="0"} 2\nDCGM_FI_DEV_FB_USED{gpu="1"} 3\nDCGM_FI_DEV_FB_FREE{gpu="0"} 9\n'
    assert read_memory(text) == Memory(vram=5 * 2**20)


def test_a_processs_memory_is_told_by_its_own_gauge():
    assert read_memory("process_resident_memory_bytes 5e+06\n") == Memory(ram=5e6)


def test_an_error_page_tells_nothing():
    assert read_memory("<html>502 Bad Gateway</html>") == Memory()

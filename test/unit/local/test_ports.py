from local.ports import free_port


def test_no_port_is_given_twice_though_nobody_listens_on_it_yet():
    ports = [free_port() for _ in range(2000)]  # of some 14,000: by chance alone about 140 would repeat

    assert len(set(ports)) == len(ports)

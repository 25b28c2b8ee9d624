from bidisync.circuit import Circuit


def test_a_system_that_fails_again_and_again_is_left_alone_and_tried_once_after_a_while():
    circuit = Circuit(failures=3, first_s=5.0, most_s=12.0)
    for _ in range(2):
        circuit.failed(0.0)
    assert not circuit.open
    assert circuit.wait(0.0) == 0.0
    circuit.failed(0.0)
    assert circuit.wait(1.0) == 4.0
    assert circuit.wait(5.0) == 0.0, "one may try"
    assert circuit.wait(5.0) > 0.0, "and only one"
    circuit.failed(5.0)
    assert circuit.wait(14.9) > 0.0, "twice as long"
    assert circuit.wait(15.0) == 0.0
    circuit.failed(15.0)
    assert circuit.wait(27.0) == 0.0, "but never longer than the bound"
    circuit.succeeded()
    assert not circuit.open
    assert circuit.wait(27.0) == 0.0


def test_success_in_between_begins_the_count_anew():
    circuit = Circuit(failures=2)
    circuit.failed(0.0)
    circuit.succeeded()
    circuit.failed(0.0)
    assert not circuit.open


def test_refused_credentials_open_it_at_once():
    circuit = Circuit(failures=5)
    circuit.failed(0.0, at_once=True)
    assert circuit.open


def test_a_try_that_ends_without_telling_anything_makes_room_for_another():
    circuit = Circuit(failures=1, first_s=1.0)
    circuit.failed(0.0)
    assert circuit.wait(1.0) == 0.0
    circuit.untold()
    assert circuit.wait(1.0) == 0.0

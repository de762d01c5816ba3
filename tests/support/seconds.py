"""How long the longest files of tests take, in seconds: processes that share the tests begin with them."""

SECONDS = {
    "integration/test_watch_killed.py": 480,
    "integration/test_round.py": 290,
    "integration/test_round_killed.py": 200,
    "integration/test_demo_days.py": 170,
    "models/test_contract.py": 90,
    "integration/test_automations.py": 85,
    "models/adapters/test_methods.py": 80,
    "tasks/watch/test_watch.py": 40,
    "integration/test_search_prefect.py": 35,
    "integration/test_search_trials.py": 35,
    "integration/test_serve.py": 35,
    "integration/test_warm_start_stages.py": 35,
    "integration/test_watch_event.py": 35,
    "integration/test_lost_server.py": 20,
}

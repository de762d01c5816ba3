"""How long the longest files of tests take, in seconds: processes that share the tests begin with them."""

SECONDS = {
    "integration/test_watch_killed.py": 500,
    "integration/test_round_killed.py": 300,
    "integration/test_round.py": 200,
    "integration/test_serve.py": 100,
    "integration/test_search_prefect.py": 99,
    "integration/test_automations.py": 150,
    "integration/test_demo_days.py": 140,
    "integration/test_registry_server.py": 60,
    "integration/test_watch_event.py": 90,
    "integration/test_bucket.py": 60,
    "integration/test_search_trials.py": 60,
    "integration/test_lost_server.py": 50,
    "integration/test_labelling_commands.py": 50,
    "integration/test_warm_start_stages.py": 60,
    "integration/test_validate_stage.py": 20,
    "integration/test_report_browser.py": 30,
    "integration/test_request_browser.py": 30,
    "integration/test_prefect_schedule.py": 20,
}

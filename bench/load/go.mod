module habitat-webhook.test/bench/load

go 1.24.0

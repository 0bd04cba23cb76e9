module habitat-webhook.test/bench/bare

go 1.24.0

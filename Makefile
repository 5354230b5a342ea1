# verify is what CI runs; it changes nothing. fix is the one target that does.
.PHONY: verify fix

verify:
	./.ci/run

fix:
	gofmt -w .

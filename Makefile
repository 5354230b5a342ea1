# verify is what CI runs; it changes nothing. fix and tidy are the targets that do.
.PHONY: verify fix tidy

verify:
	./.ci/run

fix:
	gofmt -w .

tidy:
	./.ci/modules tidy

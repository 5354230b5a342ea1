# verify is what CI runs. It changes no file of the tree, and installs gcc where the race
# detector lacks it. fix and tidy are the targets that change files.
.PHONY: verify fix tidy

verify:
	./.ci/run

fix:
	gofmt -w .

tidy:
	./.ci/modules tidy

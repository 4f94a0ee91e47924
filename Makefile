# What a developer types. `make run` and `make test` need Swift, make and git, and set up the rest themselves.

# One shell a recipe, which stops at the first failure.
.ONESHELL:
.SHELLFLAGS := -euc
.DEFAULT_GOAL := help
.PHONY: help run test test-vm vm-kernel build lint bench fuzz example docs generate deps python install deb

PREFIX  ?= /usr/local
DESTDIR ?=

PRODUCTS := vfiogroupd vfiogroupctl
RELEASE  := .build/release-stripped
DEBUG    := .build/debug
SOURCES  := Package.swift Sources Tests $(wildcard Benchmarks)

LONG_TESTS := TakeoverTests.(CrashTests|MatrixTests|PropertyTests)
# The daemon cuts a client off that leaves descriptors unread for 30 s, which beside all other tests may happen to anybody.
CLIENT_TESTS := VFIOGroupClientTests

help:  ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

run: deps  ## Serve a simulated machine until Ctrl-C
	@for product in $(PRODUCTS); do swift build --product $$product; done
	echo "In a second terminal: $(CURDIR)/$(DEBUG)/vfiogroupctl list"
	exec $(DEBUG)/vfiogroupd --simulate demo

# All targets are built, the executables too, which the end-to-end tests start from $(DEBUG).
test: deps  ## Run all tests that need no virtual machine
	@$(MAKE) --no-print-directory python ||
		echo "make test: no PyPI varlink here, so the tests that call the daemon with it are skipped"
	swift build --build-tests
	# Without the variable, what chance decides in tests would be different in every run, whatever the seed.
	# The takeover's long tests run by themselves: beside them others would have too little of the one loop.
	export SWIFT_DETERMINISTIC_HASHING=1
	swift test --skip-build --parallel --skip '$(LONG_TESTS)|$(CLIENT_TESTS)'
	swift test --skip-build --parallel --filter '$(CLIENT_TESTS)'
	swift test --skip-build --filter '$(LONG_TESTS)'

# VM_KERNEL is a kernel with iommufd (without it, what `make vm-kernel` has built), VM_FULL=1 runs every test everywhere,
# VM_ONLY=WORDS only the tests with these in their name or place; VM_BUDGET is the seconds after which a run gives up.
VM_KERNEL ?=
VM_FULL   ?=
VM_ONLY   ?=
VM_BUDGET ?= 7200
test-vm: deb  ## Run the tests on real kernels in emulated machines
	@$(MAKE) --no-print-directory deps \
		EXTRA="qemu-system-x86 busybox-static python3 gcc libc6-dev mmdebstrap genext2fs e2fsprogs"
	exec python3 -B Tests/VM --programs $(RELEASE) --package $(DEB)/vfiogroupd_*.deb \
		--kernel "$(VM_KERNEL)" $(if $(VM_FULL),--full) --only "$(VM_ONLY)" --budget $(VM_BUDGET)

vm-kernel:  ## Build a kernel with iommufd for test-vm, once
	@$(MAKE) --no-print-directory deps EXTRA="python3 gcc libc6-dev flex bison bc libelf-dev xz-utils"
	exec python3 -B Tests/VM/kernel_build.py

build: deps  ## Build release binaries into .build/release-stripped
	@mkdir -p $(RELEASE)
	for product in $(PRODUCTS); do
		swift build -c release --static-swift-stdlib --product $$product
		strip -o $(RELEASE)/$$product .build/release/$$product
	done
	cd $(RELEASE) && stat --format '%n: %s bytes' $(PRODUCTS)

lint:  ## Check the formatting of all Swift files
	@swift format lint --strict --recursive $(SOURCES)

bench:  ## Run the benchmarks
	@exec Benchmarks/run.sh

# FUZZ_SECONDS for each (60), FUZZ_TARGET for one of them.
fuzz: deps  ## Run the fuzzers of all that reads foreign input
	@exec Tests/Fuzz/run.sh

example: deps  ## Build and run the launcher of Tests/Example, from a version of this package
	@exec Tests/Example/run.sh

# A build of its own, because the plugin is a dependency that nothing else has.
DOCS := .build-docs
docs: deps  ## Generate the documentation of the libraries into .build-docs/site
	@VFIOGROUPD_DOCC=1 swift package --scratch-path $(DOCS) --allow-writing-to-directory $(DOCS)/site \
		generate-documentation $(addprefix --target ,Varlink GroupAPI VFIOGroupClient) \
		--enable-experimental-combined-documentation --warnings-as-errors --output-path $(DOCS)/site

# The IDL is the contract; what is generated from it is committed, and a test checks that it is current.
generate:  ## Generate the Swift types of the API from its IDL
	@swift run varlink-generate Sources/GroupAPI/*.varlink --output Sources/GroupAPI/Generated
	swift run varlink-generate Sources/Takeover/Journal/*.varlink --full-grammar --output Sources/Takeover/Journal/Generated

# EXTRA names further packages (.ci/run does). Nothing is fetched when all are there, so that it works offline.
EXTRA ?=
deps:  ## Install the Debian packages that a build needs
	@packages="libsystemd-dev pkg-config $(EXTRA)"
	if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
		pkg-config --exists libsystemd 2>/dev/null && exit 0
		echo "make deps: this is no Debian; please install what it calls: $$packages" >&2
		echo "  (Fedora: systemd-devel pkgconf-pkg-config; Arch: systemd-libs pkgconf)" >&2
		exit 1
	fi
	missing=
	for package in $$packages; do
		status=$$(dpkg-query --show --showformat '$${db:Status-Status}' $$package 2>/dev/null || true)
		[ "$$status" = installed ] || missing="$$missing $$package"
	done
	[ -n "$$missing" ] || exit 0
	as_root=
	if [ "$$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || { echo "make deps: please install as root:$$missing" >&2; exit 1; }
		as_root=sudo
	fi
	echo "make deps: installing$$missing"
	install() {
		$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends $$missing
	}
	# The lists are fetched only where the ones at hand do not do: a fresh machine has none.
	install || { $$as_root apt-get update --quiet && install; }

# PyPI's varlink is a client by other hands; tests start it as .build/python/bin/python3 -m varlink.cli.
VARLINK := .build/python/varlink-31.0.0
python: $(VARLINK)  ## Set up PyPI's varlink for the tests
	@:
$(VARLINK):
	@echo "make python: setting up varlink from PyPI in $(@D)"
	rm -rf $(@D)
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --retries 1 --timeout 15 varlink==31.0.0
	touch $@

# Where initramfs-tools looks: below /usr/share for packages, in /etc for what an administrator installs. dracut has one
# place only, and so has each shell. debian/rules says what is different in a package.
INITRAMFS       ?= $(if $(filter /usr,$(PREFIX)),/usr/share,/etc)/initramfs-tools
ZSH_COMPLETIONS ?= $(PREFIX)/share/zsh/site-functions
UNIT_FOLDER     ?= $(PREFIX)/lib/systemd/system
UNITS           := vfiogroupd.service vfiogroupd.socket vfiogroupd-reserve.service
install:  ## Install what `make build` built, below DESTDIR and PREFIX
	@test -x $(RELEASE)/vfiogroupd || { echo "make install: run make build first" >&2; exit 1; }
	# put MODE FOLDER/NAME FILE: installs a file, with the paths that are written in it below PREFIX.
	put() {
		install -D -m "$$1" /dev/null "$(DESTDIR)$$2"
		sed 's|/usr/bin/vfiogroup|$(PREFIX)/bin/vfiogroup|g; s|/usr/lib/vfiogroupd/vfiogroupd-|$(PREFIX)/lib/vfiogroupd/vfiogroupd-|g' \
			"$$3" >"$(DESTDIR)$$2"
	}
	for product in $(PRODUCTS); do install -D -m 755 $(RELEASE)/$$product $(DESTDIR)$(PREFIX)/bin/$$product; done
	for unit in $(UNITS); do put 644 $(UNIT_FOLDER)/$$unit systemd/$$unit; done
	put 644 $(PREFIX)/lib/systemd/system-preset/90-vfiogroupd.preset systemd/vfiogroupd.preset
	put 644 $(PREFIX)/lib/systemd/catalog/vfiogroupd.catalog systemd/vfiogroupd.catalog
	put 644 $(PREFIX)/lib/sysusers.d/vfiogroupd.conf systemd/vfiogroupd.sysusers
	put 644 $(PREFIX)/lib/tmpfiles.d/vfiogroupd.conf systemd/vfiogroupd.tmpfiles
	put 644 $(PREFIX)/lib/udev/rules.d/60-vfiogroupd.rules systemd/vfiogroupd.rules
	put 755 $(PREFIX)/lib/vfiogroupd/vfiogroupd-reserve systemd/vfiogroupd-reserve
	put 755 $(INITRAMFS)/hooks/vfiogroupd systemd/initramfs-tools/hook
	put 755 $(INITRAMFS)/scripts/init-top/early-vfiogroupd systemd/initramfs-tools/early-vfiogroupd
	put 755 /usr/lib/dracut/modules.d/60vfiogroupd/module-setup.sh systemd/dracut/module-setup.sh
	put 755 /usr/lib/dracut/modules.d/60vfiogroupd/reserve.sh systemd/dracut/reserve.sh
	for page in Documentation/*.[1-8]; do put 644 $(PREFIX)/share/man/man$${page##*.}/$${page##*/} $$page; done
	for shell in bash zsh fish; do
		case $$shell in
			bash) file=$(PREFIX)/share/bash-completion/completions/vfiogroupctl ;;
			zsh) file=$(ZSH_COMPLETIONS)/_vfiogroupctl ;;
			fish) file=$(PREFIX)/share/fish/vendor_completions.d/vfiogroupctl.fish ;;
		esac
		install -D -m 644 /dev/null $(DESTDIR)$$file
		$(RELEASE)/vfiogroupctl --generate-completion-script $$shell >$(DESTDIR)$$file
	done
	install -d $(DESTDIR)/etc/vfiogroupd/vfiogroupd.conf.d
	# What an administrator changed stays.
	test -e $(DESTDIR)/etc/vfiogroupd/vfiogroupd.conf || put 644 /etc/vfiogroupd/vfiogroupd.conf config/vfiogroupd.conf

# Built beside the sources, in a folder that has nothing but the package: debian/rules installs what `make build` built.
DEB := .build/deb
deb: build  ## Build a Debian package into .build/deb
	@$(MAKE) --no-print-directory deps EXTRA="dpkg-dev debhelper"
	rm -rf $(DEB)
	mkdir -p $(DEB)/source
	cp -R systemd/debian $(DEB)/source/debian
	cd $(DEB)/source
	SOURCES="$(CURDIR)" dpkg-buildpackage --build=binary --no-sign
	cd ..
	rm -rf source
	stat --format '%n: %s bytes' *.deb

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// options say what cluster to run.  The supervisor fills in what was left to it
// and hands them to its components.
type options struct {
	Dir           string
	Port          int
	NodeName      string
	PodIP         string
	NoMounts      bool
	WithParent    bool
	ExtraSANs     stringList
	APIServerArgs stringList
	Paths         stringList
	Images        imageTable
	PodEnv        stringList
	Verbosity     string
	EtcdURL       string
}

func (o *options) path(name string) string { return filepath.Join(o.Dir, name) }

func (o *options) server() string { return fmt.Sprintf("https://127.0.0.1:%d", o.Port) }

func parseUp(args []string) (o options, err error) {
	fs, dir := flags("up")
	fs.IntVar(&o.Port, "port", 0, "API server `port` on 127.0.0.1 (0: the one used before with this folder, or a free one)")
	fs.StringVar(&o.NodeName, "node-name", "node-1", "`name` of the node")
	fs.StringVar(&o.PodIP, "pod-ip", "", "`address` reported for every pod (default: this machine's first that is not loopback)")
	fs.BoolVar(&o.NoMounts, "no-mounts", false, "do not show volumes at their mount paths")
	fs.BoolVar(&o.WithParent, "with-parent", false, "stop when the process that started this one ends")
	fs.Var(&o.ExtraSANs, "san", "another host `name` or address for the API server's certificate (repeatable)")
	fs.Var(&o.APIServerArgs, "apiserver-arg", "another kube-apiserver `flag`, such as --goaway-chance=0.02 (repeatable)")
	fs.Var(&o.Paths, "path", "`folder` to put first in the PATH of pods (repeatable)")
	fs.Var(&o.Images, "image", "`NAME=COMMAND` to run for containers of that image without a command; COMMAND is words, or a JSON list (repeatable)")
	fs.Var(&o.PodEnv, "pod-env", "`NAME=VALUE` in the environment of every pod (repeatable)")
	fs.StringVar(&o.Verbosity, "v", "0", "log verbosity")
	fs.Parse(args)
	o.Dir, err = absolute(fs, *dir)
	return o, err
}

// flags prepares a command's flags with --dir, which they all have.
func flags(command string) (*flag.FlagSet, *string) {
	fs := flag.NewFlagSet("testbed "+command, flag.ExitOnError)
	return fs, fs.String("dir", "", "`folder` of the cluster's state (required)")
}

// folder parses the flags of a command that has only --dir.
func folder(command string, args []string) (string, error) {
	fs, dir := flags(command)
	fs.Parse(args)
	return absolute(fs, *dir)
}

func absolute(fs *flag.FlagSet, dir string) (string, error) {
	if fs.NArg() > 0 {
		return "", fmt.Errorf("%s: unexpected argument %q", fs.Name(), fs.Arg(0))
	}
	if dir == "" {
		fmt.Fprintf(os.Stderr, "%s: --dir is required\n", fs.Name())
		return "", exitCode(2)
	}
	return filepath.Abs(dir)
}

// stringList is a flag that may be given several times.
type stringList []string

func (l *stringList) String() string     { return strings.Join(*l, ",") }
func (l *stringList) Set(s string) error { *l = append(*l, s); return nil }

// imageTable gives the entry point of each image that a pod may name.
type imageTable map[string][]string

func (t *imageTable) String() string { return "" }

func (t *imageTable) Set(s string) error {
	name, command, ok := strings.Cut(s, "=")
	if !ok || name == "" || command == "" {
		return fmt.Errorf("want NAME=COMMAND")
	}
	words := strings.Fields(command)
	if strings.HasPrefix(command, "[") {
		words = nil
		if err := json.Unmarshal([]byte(command), &words); err != nil {
			return err
		}
	}
	if *t == nil {
		*t = imageTable{}
	}
	(*t)[name] = words
	return nil
}

// entrypoint is the command of an image, whatever its tag and digest.  A NAME in
// the table stands for the whole repository or for the end of its path.
func (t imageTable) entrypoint(image string) []string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		image = image[:i]
	}
	for name := image; ; {
		if command, ok := t[name]; ok {
			return command
		}
		_, rest, ok := strings.Cut(name, "/")
		if !ok {
			return nil
		}
		name = rest
	}
}

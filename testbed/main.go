// Command testbed runs a real Kubernetes for tests: etcd, kube-apiserver, the
// controllers and one node whose "containers" are plain local processes.  It
// needs no container engine, no root and no network.  It also carries the
// kubectl of the same version, and Helm.
//
// The program plays its parts by the name it is called with: the links kubectl
// and helm are those programs, and the processes of a running cluster are this
// program under names of their own.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const usage = `A real Kubernetes for tests, as local processes.

usage: testbed COMMAND [flags]

  up --dir DIR [flags]         run a cluster in the foreground until SIGTERM or ^C;
                               prints "ready server=URL kubeconfig=FILE ..." once it is usable
  down --dir DIR               stop the cluster of that folder and wait until it is gone
  status --dir DIR             what runs there, and where (exit code 3: nothing does)
  kubeconfig --dir DIR         print the administrator's kubeconfig
  apiserver stop|start|restart --dir DIR
                               take the API server and the controllers away, or bring them
                               back on the same port with the same data; pods keep running
  kubectl ...                  kubectl (also through a link of that name)
  helm ...                     Helm (also through a link of that name)

"testbed COMMAND --help" lists the flags of a command.  A folder keeps its port,
objects and pods: "up" with the same folder goes on where "down" stopped.
`

// exitCode is an error that says nothing more than the program's exit status.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

var commands = map[string]func(args []string) error{
	"up":         up,
	"down":       down,
	"status":     status,
	"kubeconfig": kubeconfig,
	"apiserver":  apiserver,
}

// programs are the names that make this binary another program.
var programs = map[string]func(){
	"kubectl":        kubectl,
	"helm":           helm,
	mountName:        mountMain,
	controlPlaneName: func() { runComponent(runControlPlane) },
	nodeName:         func() { runComponent(runNode) },
}

func main() {
	if program, ok := programs[filepath.Base(os.Args[0])]; ok {
		program()
		return
	}
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	switch name := os.Args[1]; name {
	case "kubectl", "helm":
		os.Args = os.Args[1:]
		programs[name]()
		return
	case "help", "--help", "-help", "-h":
		fmt.Print(usage)
		return
	}
	command, ok := commands[os.Args[1]]
	if !ok {
		fmt.Fprintf(os.Stderr, "testbed: there is no command %q\n\n%s", os.Args[1], usage)
		os.Exit(2)
	}
	err := command(os.Args[2:])
	var code exitCode
	if errors.As(err, &code) {
		os.Exit(int(code))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
		os.Exit(1)
	}
}

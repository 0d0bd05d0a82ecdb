package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// pki is the cluster's certificate authority, kept in DIR/pki.
type pki struct {
	dir  string
	key  crypto.Signer
	cert *x509.Certificate
}

func (p *pki) path(name string) string { return filepath.Join(p.dir, name) }

// openPKI loads the authority, or makes it with the service account key.
func openPKI(dir string) (*pki, error) {
	p := &pki{dir: dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if _, err := os.Stat(p.path("ca.crt")); err == nil {
		certs, err := cert.CertsFromFile(p.path("ca.crt"))
		if err != nil {
			return nil, err
		}
		key, err := keyutil.PrivateKeyFromFile(p.path("ca.key"))
		if err != nil {
			return nil, err
		}
		p.cert, p.key = certs[0], key.(crypto.Signer)
		return p, nil
	}
	key, err := p.newKey("ca")
	if err != nil {
		return nil, err
	}
	if p.cert, err = cert.NewSelfSignedCACert(cert.Config{CommonName: "testbed-ca"}, key); err != nil {
		return nil, err
	}
	p.key = key
	if _, err := p.newKey("sa"); err != nil {
		return nil, err
	}
	return p, cert.WriteCert(p.path("ca.crt"), encodeCert(p.cert.Raw))
}

func (p *pki) newKey(name string) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	data, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return nil, err
	}
	return key, keyutil.WriteKey(p.path(name+".key"), data)
}

// issue writes NAME.crt and NAME.key, signed by the authority, for a client
// (no hosts) or for a server that is a client too.
func (p *pki) issue(name, user string, groups []string, hosts ...string) error {
	key, err := p.newKey(name)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	tmpl := &x509.Certificate{
		Subject:      pkix.Name{CommonName: user, Organization: groups},
		SerialNumber: serial,
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if len(hosts) > 0 {
		tmpl.ExtKeyUsage = append(tmpl.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, p.cert, key.Public(), p.key)
	if err != nil {
		return err
	}
	return cert.WriteCert(p.path(name+".crt"), encodeCert(der))
}

// kubeconfig writes a self-contained kubeconfig for the client certificate NAME.
func (p *pki) kubeconfig(path, server, name string) error {
	read := func(file string) (data []byte) {
		data, _ = os.ReadFile(p.path(file))
		return data
	}
	c := clientcmdapi.NewConfig()
	c.Clusters["testbed"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: read("ca.crt")}
	c.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: read(name + ".crt"), ClientKeyData: read(name + ".key")}
	c.Contexts["testbed"] = &clientcmdapi.Context{Cluster: "testbed", AuthInfo: name}
	c.CurrentContext = "testbed"
	if len(c.AuthInfos[name].ClientCertificateData) == 0 {
		return fmt.Errorf("no certificate for %s", name)
	}
	return clientcmd.WriteToFile(*c, path)
}

func encodeCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

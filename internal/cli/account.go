package cli

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
)

func (a *app) accountCommand() *cobra.Command {
	cmd := a.group("account", "Administer who may log in to Postern", "")
	cmd.AddCommand(
		a.accountList(), a.accountAdd(), a.accountPasswd(), a.accountRole(),
		a.accountSwitch("enable", "Let an account log in again", admin.AccountChange{Enabled: new(true)}),
		a.accountSwitch("disable", "Keep an account from logging in; its sessions end", admin.AccountChange{Enabled: new(false)}),
		a.accountSwitch("unlock", "End the lockout of an account", admin.AccountChange{Unlock: true}),
		a.accountRemove(), a.accountRules(), a.accountCert(),
	)
	return cmd
}

// completeAccounts offers the names of the accounts there are.
func (a *app) completeAccounts(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if len(args) == 0 {
		a.offer(cmd, func(ctx context.Context, api admin.API) {
			list, _ := api.Accounts(ctx)
			for _, acc := range list {
				names = append(names, string(acc.Name))
			}
		})
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) accountList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the accounts", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				list, err := api.Accounts(ctx)
				if err != nil {
					return err
				}
				return a.print(list, func(w io.Writer) {
					var rows [][]string
					for _, acc := range list {
						rows = append(rows, []string{string(acc.Name), string(acc.Role), accountState(acc), acc.Updated.Local().Format(time.DateTime)})
					}
					table(w, []string{"NAME", "ROLE", "STATE", "CHANGED"}, rows)
				})
			})
		},
	}
}

// accountState is the state of an account in few words.
func accountState(acc admin.Account) string {
	state := "enabled"
	if !acc.Enabled {
		state = "disabled"
	}
	if acc.Locked {
		state += ", locked"
	}
	if acc.MustChangePassword {
		state += ", must change password"
	}
	return state
}

func (a *app) accountAdd() *cobra.Command {
	var secret secretFlags
	var hashFile string
	var n admin.NewAccount
	cmd := &cobra.Command{
		Use: "add NAME --role ROLE", Short: "Add an account", Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if n.Role == "" {
				return usage("Administrator, Operator, ReadOnly, or one of postern role list", "--role is missing")
			}
			n.Name = auth.AccountName(args[0])
			switch {
			case hashFile != "" && secret.given():
				return usage("one of them is enough", "--hash-file excludes a password")
			case hashFile != "":
				hash, err := a.readSecret(cmd.Context(), secretFlags{file: hashFile}, "password hash", false)
				if err != nil {
					return err
				}
				n.Hash = hash.Reveal()
			default:
				if n.Password, err = a.readSecret(cmd.Context(), secret, "password of "+args[0], true); err != nil {
					return err
				}
			}
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				_, err := api.CreateAccount(ctx, n)
				return err
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar((*string)(&n.Role), "role", "", "`ROLE` of the account: Administrator, Operator, ReadOnly, or one of your own")
	flags.StringVar(&hashFile, "hash-file", "", "`FILE` that holds a hash of the password: argon2id, bcrypt or sha512crypt; - is standard input")
	flags.BoolVar(&n.MustChangePassword, "must-change-password", false, "let the account do nothing until it has changed its password")
	flags.BoolVar(&n.Disabled, "disabled", false, "do not let the account log in yet")
	a.completeRoles(cmd)
	secret.add(cmd)
	return cmd
}

func (a *app) accountPasswd() *cobra.Command {
	var secret secretFlags
	var must bool
	cmd := &cobra.Command{
		Use: "passwd NAME", Short: "Change the password of an account; its sessions end", Args: exactly("NAME"),
		ValidArgsFunction: a.completeAccounts,
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := a.readSecret(cmd.Context(), secret, "new password of "+args[0], true)
			if err != nil {
				return err
			}
			return a.changeAccount(cmd, args[0], admin.AccountChange{Password: &password, MustChangePassword: &must})
		},
	}
	cmd.Flags().BoolVar(&must, "must-change-password", false, "let the account do nothing until it has changed it again")
	secret.add(cmd)
	return cmd
}

func (a *app) accountRole() *cobra.Command {
	return &cobra.Command{
		Use: "role NAME ROLE", Short: "Change the role of an account; its sessions end", Args: exactly("NAME", "ROLE"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return a.roleNames(cmd), cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeAccounts(cmd, args, start)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeAccount(cmd, args[0], admin.AccountChange{Role: new(auth.Role(args[1]))})
		},
	}
}

// changeAccount makes a change of one account.
func (a *app) changeAccount(cmd *cobra.Command, name string, c admin.AccountChange) error {
	return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
		_, err := api.ChangeAccount(ctx, auth.AccountName(name), c)
		return err
	})
}

func (a *app) accountSwitch(use, short string, c admin.AccountChange) *cobra.Command {
	return &cobra.Command{
		Use: use + " NAME", Short: short, Args: exactly("NAME"), ValidArgsFunction: a.completeAccounts,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeAccount(cmd, args[0], c)
		},
	}
}

func (a *app) accountRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Remove an account; its sessions end", Args: exactly("NAME"), ValidArgsFunction: a.completeAccounts,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				return api.RemoveAccount(ctx, auth.AccountName(args[0]), 0)
			})
		},
	}
}
